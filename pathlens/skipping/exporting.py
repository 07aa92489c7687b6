"""A plain module as a file: what torch exports, or ONNX; each is checked before it has its name."""

from __future__ import annotations

import importlib.util
import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves

from pathlens.errors import PathLensError, first_line
from pathlens.files import write_bytes

TOLERANCE = 1e-4
"""Largest difference allowed, over the largest number of the answer."""

_LARGEST = 2**31 - 2**20
"""Bytes that fit into one ONNX file, which is a protobuf message."""


@dataclass(frozen=True)
class Saved:
    """A file that was written and checked.

    Attributes:
        out: Where it is.
        error: Largest difference to the module's answer, over the largest number of it.
        batches: Numbers of images that it was checked with.
    """

    out: Path
    error: float
    batches: tuple[int, ...]

    def summary(self) -> str:
        """One line."""
        sizes = " and ".join(map(str, self.batches))
        return f"{self.out}: checked with batches of {sizes}, relative error {self.error:.1e}."


Run = Callable[[tuple[Tensor, ...]], list[Tensor]]
"""Runs what was written: from arguments to all tensors of the output."""


@dataclass(frozen=True)
class Ending:
    """One kind of file.

    Attributes:
        check: Raises PathLensError where packages are missing.
        write: From the exported program to the bytes of the file.
        load: From the bytes to what runs them.
    """

    check: Callable[[], None]
    write: Callable[[ExportedProgram], bytes]
    load: Callable[[bytes], Run]


def save(
    program: ExportedProgram, module: nn.Module, out: Path, arguments: tuple[Tensor, ...]
) -> Saved:
    """Write a program to a file; its ending says how.

    Args:
        program: What is written.
        module: What gives the right answers.
        out: The file, replaced if it is there.
        arguments: At least two images to check with.

    Raises:
        PathLensError: If packages are missing, the file cannot be written, or its answers are others.
    """
    ending = ENDINGS[out.suffix]
    ending.check()
    content = ending.write(program)
    run = ending.load(content)
    error, batches = 0.0, tuple(sorted({1, len(arguments[0])}))
    for images in batches:
        given = tuple(argument[:images] for argument in arguments)
        with torch.no_grad():
            expected = [leaf for leaf in tree_leaves(module(*given)) if isinstance(leaf, Tensor)]
            found = run(given)
        for a, b in zip(found, expected, strict=True):
            largest = b.abs().max().clamp_min(1e-30)
            error = max(error, float((a - b).abs().max() / largest))
    if not error <= TOLERANCE:
        raise PathLensError(
            f"{out} is not written: what it would give differs from the network by {error:.1e} of the "
            f"largest score, more than {TOLERANCE:g}; try another version of torch or onnxruntime."
        )
    write_bytes(out, content)
    return Saved(out, error, batches)


def _write_program(program: ExportedProgram) -> bytes:
    memory = io.BytesIO()
    torch.export.save(program, memory)
    return memory.getvalue()


def _load_program(content: bytes) -> Run:
    module = torch.export.load(io.BytesIO(content)).module()
    return lambda arguments: [x for x in tree_leaves(module(*arguments)) if isinstance(x, Tensor)]


def _check_onnx() -> None:
    missing = [
        name
        for name in ("onnx", "onnxscript", "onnxruntime")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise PathLensError(
            f"Writing ONNX needs {', '.join(missing)}: install them with `pip install "
            "'pathlens[onnx]'`, or write a .pt2 file."
        )


def _write_onnx(program: ExportedProgram) -> bytes:
    count = len(program.graph_signature.user_inputs)
    names = ["images"] if count == 1 else [f"images_{number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Of the exporter about its own parts; the outputs are compared afterwards.
        warnings.simplefilter("ignore")
        try:
            made: Any = torch.onnx.export(program, input_names=names, dynamo=True, verbose=False)
        except Exception as error:  # an operator that the exporter does not know
            raise PathLensError(
                f"The cut network cannot be written as ONNX ({first_line(error)}): write a .pt2 file."
            ) from error
        size = sum(p.numel() * p.element_size() for p in program.state_dict.values())
        if size > _LARGEST:
            raise PathLensError(
                f"The cut network has {size / 2**30:.1f} GiB of weights, more than one ONNX file "
                "holds: write a .pt2 file."
            )
        path = Path(folder, "network.onnx")
        made.save(path, external_data=False)
        return path.read_bytes()


def _load_onnx(content: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(arguments: tuple[Tensor, ...]) -> list[Tensor]:
        given = {
            name: argument.cpu().numpy() for name, argument in zip(names, arguments, strict=True)
        }
        return [torch.from_numpy(made).to(arguments[0].device) for made in session.run(None, given)]

    return run


ENDINGS: dict[str, Ending] = {
    ".pt2": Ending(lambda: None, _write_program, _load_program),
    ".onnx": Ending(_check_onnx, _write_onnx, _load_onnx),
}
"""Kinds of file by the end of their name."""
