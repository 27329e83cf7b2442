"""Memory of the C library: only processes of our own change how it is kept."""

from __future__ import annotations

import argparse
from functools import partial
from types import SimpleNamespace

import pytest

from hyperscan.cli.terminal import own_process
from hyperscan.pipeline.process import give_back
from hyperscan.pipeline.workers import Place, Task, run_tasks


def test_only_processes_of_our_own_change_the_memory_of_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    library = SimpleNamespace(mallopt=lambda *pair: asked.append(pair), malloc_trim=lambda _: None)
    monkeypatch.setattr("hyperscan.pipeline.process.platform.libc_ver", lambda: ("glibc", "2"))
    monkeypatch.setattr("hyperscan.pipeline.process.ctypes.CDLL", lambda _: library)
    assert run_tasks([Task("here", partial(asked.append, ()))], Place(), "test", progress=False) == []
    assert asked == [()]
    with own_process(argparse.Namespace(quiet=True, verbose=False)):
        assert len(asked) == 3
    # and gives them back
    assert sorted(asked[3:]) == sorted([(-1, 128 * 1024), (-4, 65536)])


def test_elsewhere_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperscan.pipeline.process.platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("hyperscan.pipeline.process.ctypes.CDLL", lambda _: pytest.fail("the C library was asked"))
    give_back()
    with own_process(argparse.Namespace(quiet=True, verbose=False)):
        pass
