"""Every command that a page shows exists, with every option that it is shown with."""

import re
import shlex

import pytest
import typer

from pathlens.cli.app import app
from tests.docs.pages import OUTSIDE, blocks, named, pages, prose

SHELL = ("console", "bash", "sh", "shell")
_COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:torchrun .* -- )?(?:\S*/)?pathlens (.*)$")
_INLINE = re.compile(r"`(?:[A-Z_]+=\S+ )?(?:torchrun [^`]*? -- )?pathlens ([a-z][^`]*)`")
COMMANDS = typer.main.get_command(app)


def lines_of(text):
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines()]


def commands_of(text):
    shown = [line for b in blocks(text) if b.language in SHELL for line in lines_of(b.text)]
    shown += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    found = [match.group(1) for line in shown if (match := _COMMAND.match(line))]
    return [command for command in found if not command.startswith("=")]


def parse(arguments):
    """Parse a command line as `pathlens` would, without running it."""
    command, rest = COMMANDS, shlex.split(arguments, comments=True)
    while hasattr(command, "commands"):
        context = command.make_context("pathlens", rest)
        _, command, rest = command.resolve_command(context, rest)
    command.make_context("pathlens", rest)


PAGES = [page for page in [*OUTSIDE, *pages()] if commands_of(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_blocks_can_be_parsed(page):
    for command in commands_of(page.read_text("utf-8")):
        try:
            parse(command)
        except Exception as error:
            pytest.fail(f"pathlens {command}: {error}")


@pytest.mark.parametrize("page", [*OUTSIDE, *pages()], ids=named)
def test_commands_and_options_in_prose_exist(page):
    for shown in _INLINE.findall(prose(page.read_text("utf-8")).replace("\n", " ")):
        command = COMMANDS
        for word in shown.split():
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
            elif word.isupper() or word == "...":  # stands for what a reader puts there
                break
            elif word.startswith("--"):
                known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
                assert word.rstrip(",.") in {*known, "--help"}, f"pathlens {shown}"
            else:
                assert not hasattr(command, "commands"), f"pathlens {shown}"


def test_the_command_line_is_shown_in_many_places():
    assert sum(len(commands_of(page.read_text("utf-8"))) for page in PAGES) > 60


@pytest.mark.parametrize(
    "wrong",
    [
        "train resnet20 --dta x",
        "trian resnet20",
        "record --shard",
        "concepts build maks M",
        "merge",
    ],
)
def test_a_wrong_command_is_found(wrong):
    with pytest.raises(Exception, match=r"(?i)no such|requires|missing"):
        parse(wrong)
