# SPDX-License-Identifier: Apache-2.0
"""How a command ends when the person, or the other end of a pipe, has had enough of it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

STOPPED, PIPE_CLOSED, CANNOT_PRINT, CANNOT_IMPORT = 130, 141, 74, 1
"""Exit codes: as of a shell for SIGINT and SIGPIPE, EX_IOERR of sysexits.h, and a common error."""
NUMPY_MISFITS = ('multiarray failed to import', '_ARRAY_API', 'NumPy 1.x cannot be run')
"""What libraries say that were built for NumPy 1 and find NumPy 2, or the other way round."""


def run(command: Callable[[], int], name: str = '') -> int:
    """Return the exit code of `command`; Ctrl-C, `| head` and a full disk behind `>` give one
    sentence or none, and no traceback. name: begins what is said."""
    start = f'{name}: ' if name else ''
    try:
        code = command()
        sys.stdout.flush()  # what is left in the buffer would fail later, as the interpreter ends
    except ImportError as error:
        sentence = explain_import(error)
        if not sentence:
            raise
        print(f'{start}{sentence}', file=sys.stderr)
        return CANNOT_IMPORT
    except KeyboardInterrupt:
        print(f'{start}stopped; what was written so far is whole', file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _drop_output()
        print(f'{start}the output cannot be written: {error.strerror}', file=sys.stderr)
        return CANNOT_PRINT
    return code


def explain_import(error: ImportError | AttributeError) -> str:
    """Return what to do where a library does not fit the NumPy it finds; '' for other errors."""
    if not any(words in str(error) for words in NUMPY_MISFITS):
        return ''
    return (
        f"OpenCV does not fit the NumPy that is installed here ({error}). Ubuntu's python3-opencv "
        "is made for NumPy 1: pip install 'numpy<2'. With NumPy 2, take a newer OpenCV: "
        'pip install opencv-python-headless'
    )


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
