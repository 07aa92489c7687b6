"""A wheel, built from a copy of the sources and installed where the repository cannot be seen.

This folder has no `__init__.py`: with one it would stand in for the library called `packaging`.
"""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import pathlens
from pathlens.training.recipe import shipped_recipes

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md")
MOST_BYTES = 3_000_000


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    copy = tmp_path_factory.mktemp("sources")
    shutil.copytree(ROOT / "pathlens", copy / "pathlens", ignore=lambda _, names: {"__pycache__"})
    for name in (*BUILT_FROM, "CITATION.cff"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "tests").mkdir()
    (copy / "tests" / "test_something.py").write_text("")
    return copy


@pytest.fixture(scope="module")
def build(sources):
    """What is printed while a wheel is built from the sources without any internet, and the wheel."""
    target = sources.parent / f"{sources.name}-wheel"
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", "--verbose")
    said = run(sys.executable, "-m", "pip", "wheel", *options, "-w", target, sources)
    (made,) = target.glob("*.whl")
    return said, made


@pytest.fixture(scope="module")
def wheel(build):
    return build[1]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A virtual environment with the wheel, and with the packages of this one but not the repository.

    Paths in a .pth file are searched, and .pth files found there are not read: so an editable install
    of the repository stays out.
    """
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python),
        "install",
        "--no-deps",
        "--no-index",
        wheel,
    )
    (site,) = place.glob("lib/python*/site-packages")
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "others.pth").write_text("\n".join(sorted(others)))
    return place


@pytest.fixture
def run_installed(installed, tmp_path):
    def call(program, *arguments):
        hidden = ("PYTHONPATH", "PYTHONHOME", "PATHLENS_RUNS", "PATHLENS_SHARED")
        known = {name: value for name, value in os.environ.items() if name not in hidden}
        return run(installed / "bin" / program, *arguments, cwd=tmp_path, env=known)

    return call


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_of_the_package():
    found = (path for path in (ROOT / "pathlens").rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    inside = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert inside == files_of_the_package()


def test_the_wheel_holds_what_the_package_opens(wheel):
    inside = names_in(wheel)
    assert "pathlens/py.typed" in inside
    assert "pathlens/recording/FORMAT.md" in inside
    assert "pathlens/reporting/templates/page.html.j2" in inside
    assert "pathlens/examples/scenes-test-500/recording.json" in inside
    assert {f"pathlens/training/recipes/{name}.toml" for name in shipped_recipes()} <= inside


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < MOST_BYTES


def test_the_build_has_nothing_to_warn_of(build):
    said, _ = build
    # Python itself may have been told to compile nothing, which is no fault of the build.
    told = [line for line in said.splitlines() if "warn" in line.lower()]
    assert not [line for line in told if "byte-compiling is disabled" not in line]


def test_the_metadata_say_what_setup_cfg_and_the_readme_say(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        told = email.message_from_bytes(archive.read(name))
    assert told["Version"] == pathlens.__version__
    assert told["Requires-Python"] == ">=3.11"
    assert told["Author"] == "The PathLens developers"
    assert "CHANGELOG" in told.get_payload()
    required = [one.split(";")[0].split(">")[0].strip() for one in told.get_all("Requires-Dist")]
    assert {"torch", "pyarrow", "jinja2"} <= set(required)


def test_the_source_archive_builds_the_same_wheel(sources, wheel, tmp_path):
    backend = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    run(sys.executable, "-c", backend, tmp_path, cwd=sources)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    assert {name for name in names_in(wheel) if ".dist-info/" not in name} <= inside
    assert {"CITATION.cff", "CHANGELOG.md", "LICENSE"} <= inside
    assert not [name for name in inside if name.startswith("tests")]


def test_the_package_that_runs_is_the_installed_one(run_installed, installed):
    said = run_installed("python", "-c", "import pathlens; print(pathlens.__file__)")
    assert Path(said.strip()).is_relative_to(installed)


@pytest.mark.parametrize("command", ["", "demo", "train", "report"])
def test_help_is_given_elsewhere(run_installed, command):
    assert "Usage: pathlens" in run_installed("pathlens", *command.split(), "--help")


def test_recipes_are_found_elsewhere(run_installed):
    code = (
        "from pathlens.training.recipe import load_recipe, shipped_recipes\n"
        "print([load_recipe(name).name for name in shipped_recipes()])"
    )
    assert "'short'" in run_installed("python", "-c", code)


def test_the_shipped_recording_becomes_a_figure_elsewhere(run_installed, tmp_path):
    code = (
        "import sys, pathlens\n"
        "from pathlens.examples import open_example\n"
        "recording = open_example('example')\n"
        "pathlens.analysis.filter_states(recording).plot().savefig('states.png')\n"
        "assert 'torch' not in sys.modules\n"
        "print(len(recording), recording.folder)"
    )
    count, folder = run_installed("python", "-c", code).split()[-2:]
    assert (tmp_path / "states.png").stat().st_size > 1000
    assert (int(count), tmp_path / folder) == (500, tmp_path / "example")


def test_the_files_of_the_page_are_found_elsewhere(run_installed):
    # A whole page would first compile for a minute what a fresh installation has not yet compiled.
    code = (
        "from pathlens.reporting import page\n"
        "from jinja2 import Environment, FunctionLoader\n"
        "environment = Environment(loader=FunctionLoader(page._source))\n"
        "environment.filters.update(percent=str, count=str)\n"
        "environment.get_template('page.html.j2')\n"
        "print(sum(len(page._source(f'{name}.js')) for name in page.SCRIPTS))"
    )
    assert int(run_installed("python", "-c", code)) > 50_000


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {pathlens.__version__}\n" in text
    assert f"version = {{{pathlens.__version__}}}" in (ROOT / "README.md").read_text("utf-8")
    assert "arXiv:1906.01166" in text
    assert "\n  - name: The PathLens developers\n" in text
