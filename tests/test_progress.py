import io
import sys

import pytest

from pathlens import progress
from pathlens.progress import LogBar, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when they are told to."""
    told = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: told[0])
    return told


@pytest.fixture(autouse=True)
def no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(capsys, clock):
    with progress_bar(total=100, desc="work", shown=True, mininterval=0, miniters=1) as bar:
        for _ in range(100):
            clock[0] += 1
            bar.update()
    log = capsys.readouterr().err
    lines = log.split("\n")
    assert [line.split("|")[0] for line in lines] == [
        "work:  30%", "work:  60%", "work:  90%", "work: 100%", "",
    ]  # fmt: skip
    assert "\r" not in log


def test_short_work_is_one_line(capsys):
    assert list(progress_bar(range(5), desc="short", shown=True)) == [0, 1, 2, 3, 4]
    log = capsys.readouterr().err
    assert log.count("\n") == 1
    assert "5/5" in log


def test_lines_stand_before_what_is_said_after_them(tmp_path):
    with (tmp_path / "log").open("w", buffering=4096) as held:
        with progress_bar(total=1, desc="work", shown=True, file=held) as bar:
            bar.update()
        assert (tmp_path / "log").read_text().startswith("work: 100%")


def test_changed_words_are_no_new_lines(capsys):
    with progress_bar(total=3, desc="work", shown=True) as bar:
        for word in "abc":
            bar.set_postfix_str(word)
            bar.set_description(word)
        LogBar.write("beside", file=sys.stderr)
    first, last, end = capsys.readouterr().err.split("\n")
    assert (first, end) == ("beside", "")
    assert last.startswith("c:")


def test_a_bar_that_is_not_to_stay_or_not_shown_leaves_nothing(capsys):
    for options in ({"shown": True, "leave": False}, {"shown": False}):
        with progress_bar(total=2, **options) as bar:
            bar.update(2)
    assert capsys.readouterr().err == ""


def test_a_closed_bar_is_told_once(capsys):
    bar = progress_bar(total=2, shown=True)
    bar.close()
    bar.close()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_terminal_gets_a_bar_that_moves(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(total=4, shown=True) as bar:
        assert not isinstance(bar, LogBar)
        bar.update(4)
    assert "\r" in terminal.getvalue()
