"""A folder for what nobody may keep: it is removed however the work in it ends, by Ctrl-C and SIGTERM too."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to stop. SIGKILL and a power cut ask nobody."""


@contextmanager
def vanishing_folder() -> Iterator[Path]:
    """A fresh folder that only this user can open, gone when the ``with`` block is left.

    A signal that asks the process to stop raises KeyboardInterrupt inside the block, so that it is left.
    """
    with _stopping_by_exception():
        path = Path(tempfile.mkdtemp(prefix="voiceeval-"))
        try:
            yield path
        finally:
            with _undisturbed():
                shutil.rmtree(path, ignore_errors=True)
                if path.exists():
                    sys.stderr.write(f"voiceeval: {path}: could not be removed; remove it by hand\n")


@contextmanager
def _stopping_by_exception() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        # What follows is tidying up; a second Ctrl-C must not cut that short.
        for each in ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled_by(stop):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nor may a first one that comes while the folder is being removed."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextmanager
def _handled_by(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread is told of signals, and may say what they do.
        yield
        return
    # A signal that is ignored, as under nohup, stays ignored.
    heeded = [number for number in ENDINGS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
