"""Watching a network run once: which operation reads which tensor.

Nothing is guessed from class or attribute names. The network runs on the example input below the
level of its Python code, so control flow, functional calls and re-used modules are seen as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from pathlens.errors import PathLensError, first_line

_WRITE = "written through a view"


@dataclass(frozen=True)
class Value:
    """One version of one tensor: an in-place operation makes a new value.

    Attributes:
        index: Number of the value, in the order of first sight.
        shape: Its shape.
    """

    index: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Op:
    """One operation that ran.

    Attributes:
        name: Name of the ATen operator, without overload and without the underscore of in-place
            variants: "convolution", "native_batch_norm", "relu", "add", "cat".
        module: Dotted name of the innermost module that ran it; "" for the network itself.
        args: Positional arguments, tensors replaced by their `Value`.
        inputs: The values read, in the order of the arguments.
        outputs: The values made.
    """

    name: str
    module: str
    args: tuple[Any, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass
class Observation:
    """The operations of one forward pass as a graph.

    Attributes:
        ops: All operations, in running order.
        inputs: The values that were given to the network.
        outputs: The values that it returned; the first is the main output.
        calls: How often each module was called, by dotted name.
        returned: The value that each module returned at its last call, where that is one tensor.
    """

    ops: list[Op] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    returned: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.producer: dict[Value, Op] = {}
        self.consumers: dict[Value, list[Op]] = {}

    @property
    def images(self) -> int:
        """Size of the batch that was given."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1

    def add(self, op: Op) -> None:
        """Append an operation and link it to the values it reads and makes."""
        self.ops.append(op)
        for value in op.inputs:
            self.consumers.setdefault(value, []).append(op)
        for value in op.outputs:
            self.producer[value] = op

    def readers(self, value: Value) -> list[Op]:
        """The operations that read `value`, without the notes of writes to its memory."""
        return [op for op in self.consumers.get(value, []) if op.name != _WRITE]

    def constant(self, value: Value) -> bool:
        """Whether `value` hangs on no input of the network: a weight, or made of weights."""
        read = {given for op in self.upstream([value]) for given in op.inputs}
        return read.isdisjoint(self.inputs) and value not in self.inputs

    def upstream(self, values: Iterable[Value]) -> set[Op]:
        """All operations that the `values` depend on."""
        seen: set[Op] = set()
        waiting = list(values)
        while waiting:
            op = self.producer.get(waiting.pop())
            if op is not None and op not in seen:
                seen.add(op)
                waiting.extend(op.inputs)
        return seen


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes every ATen operation into an `Observation`."""

    def __init__(self, observation: Observation) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.observation = observation
        self.module_stack: list[str] = []
        self._values: dict[int, Value] = {}
        # An id is only unique among living tensors.
        self._alive: list[Tensor] = []
        self._sharing: dict[int, list[Tensor]] = {}
        self._count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, the default, imports the compiler at the first operation, which takes more than a second.
        return False

    def new_value(self, tensor: Tensor) -> Value:
        value = Value(self._count, tuple(tensor.shape))
        self._count += 1
        if id(tensor) not in self._values:
            self._alive.append(tensor)
            self._sharing.setdefault(_storage(tensor), []).append(tensor)
        self._values[id(tensor)] = value
        return value

    def value(self, tensor: Tensor) -> Value:
        return self._values.get(id(tensor)) or self.new_value(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        seen_args = tree_map(self._as_value, args)
        inputs = tuple(self.value(tensor) for tensor in _tensors((args, kwargs)))
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        name = name.rstrip("_") if not name.startswith("_") else name
        self._write(name, seen_args, inputs, _tensors(result))
        if func._schema.is_mutable:
            for tensor in _tensors(result):
                self._spread(tensor)
        return result

    def _write(
        self, name: str, args: tuple[Any, ...], inputs: tuple[Value, ...], made: list[Tensor]
    ) -> None:
        outputs = tuple(self.new_value(tensor) for tensor in made)
        module = self.module_stack[-1] if self.module_stack else ""
        self.observation.add(Op(name, module, args, inputs, outputs))

    def _spread(self, written: Tensor) -> None:
        """Every other tensor on the memory that was written gets a new value too."""
        for other in self._sharing.get(_storage(written), ()):
            if other is not written:
                inputs = (self.value(other), self.value(written))
                self._write(_WRITE, inputs, inputs, [other])

    def _as_value(self, leaf: Any) -> Any:
        return self.value(leaf) if isinstance(leaf, Tensor) else leaf


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    """A number that tensors on the same memory have in common."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse tensors have no storage of their own
        return -id(tensor)


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and back, each as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def observe(model: nn.Module, example_input: Tensor | tuple[Any, ...]) -> Observation:
    """Run `model` once in eval mode, without gradients, and return what it did.

    Args:
        model: Any module; it is left as it was.
        example_input: A batch of images (N, C, H, W), or the tuple of the network's arguments.

    Raises:
        PathLensError: If the network does not run on the example input.
    """
    arguments = example_input if isinstance(example_input, tuple) else (example_input,)
    observation = Observation()
    recorder = _Recorder(observation)
    with ExitStack() as stack:
        stack.enter_context(_eval_mode(model))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        for name, module in model.named_modules():
            stack.enter_context(_track(module, name, recorder))
        observation.inputs = [recorder.new_value(tensor) for tensor in _tensors(arguments)]
        stack.enter_context(recorder)
        try:
            output = model(*arguments)
        except Exception as error:  # whatever the user's own code raises
            shapes = ", ".join(str(value.shape) for value in observation.inputs)
            reason = first_line(error)
            raise PathLensError(
                f"The network does not run on an input of shape {shapes}: {reason}. "
                "Give an image size, number of channels and precision that it was made for."
            ) from error
    observation.outputs = [recorder.value(tensor) for tensor in _tensors(output)]
    if not observation.outputs:
        raise PathLensError(
            f"The network returns a {type(output).__name__} in which no tensor is found: let its "
            "forward return a tensor, or a tuple, list or dictionary of them."
        )
    return observation


@contextmanager
def _track(module: nn.Module, name: str, recorder: _Recorder) -> Iterator[None]:
    """Keep the recorder's module stack while `module` runs."""

    def enter(*_: Any) -> None:
        recorder.observation.calls[name] += 1
        recorder.module_stack.append(name)

    def leave(_module: nn.Module, _args: Any, output: Any) -> None:
        recorder.module_stack.pop()
        if isinstance(output, Tensor):
            recorder.observation.returned[name] = recorder.value(output)

    handles = [
        module.register_forward_pre_hook(enter, prepend=True),
        module.register_forward_hook(leave, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
