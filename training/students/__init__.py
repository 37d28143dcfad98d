# SPDX-License-Identifier: Apache-2.0
"""The students by name; both offer training.students.interface.Student."""

from __future__ import annotations

from training.students.paper import PaperStudent
from training.students.plain import PlainStudent

STUDENTS = {'plain': PlainStudent, 'paper': PaperStudent}
