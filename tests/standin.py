"""A device that stands in for a GPU: it computes on the CPU and refuses the CPU's tensors.

Machines without a GPU run code that forgets a ``.to(device)`` or a ``.cpu()`` without a word.
On this device it fails as it would on a GPU: tensors of two devices do not meet (a single number
may), a generator must be of the device, and NumPy sees nothing that was not copied back.

    install(monkeypatch)
    torch.randn(3, device=DEVICE).numpy()  # TypeError
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "standin"
_setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(NAME, 0)

#: What may take tensors of both: copies, and reading with indices that lie on the CPU.
MEETINGS = {"aten::_to_copy", "aten::copy_", "aten::_copy_from", "aten::index.Tensor"}
MEETINGS |= {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class StandIn(Tensor):
    """A tensor of that device; its numbers lie in ``held``, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[StandIn], held: Tensor) -> StandIn:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"{self.held!r} on {DEVICE}"

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, new: StandIn) -> None:
        self.held = new.held

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(
            f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first."
        )

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return torch.tensor(data, **({"dtype": self.dtype} | options)).to(DEVICE)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> StandIn:
        if id(self) not in memo:
            made = StandIn(self.held.detach().clone()).requires_grad_(self.requires_grad)
            if isinstance(self, torch.nn.Parameter):
                made._is_param = True  # type: ignore[attr-defined]
            memo[id(self)] = made
        return memo[id(self)]

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return on_cpu(operation, *args, **(kwargs or {}))


def on_cpu(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Do on the CPU what was asked of the device."""
    name = operation._schema.name
    wrappers: dict[int, StandIn] = {}
    asked_for = kwargs.get("device")

    def inward(value: Any) -> Any:
        if isinstance(value, StandIn):
            wrappers[id(value.held)] = value
            return value.held
        if isinstance(value, Tensor) and value.dim() and name not in MEETINGS:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, "
                f"{DEVICE} and {value.device}, in {name}, shape {tuple(value.shape)}"
            )
        if isinstance(value, PLAIN):
            if value._cdata not in OURS:
                raise RuntimeError(
                    f"Expected a '{NAME}' device type for generator but found '{value.device}'"
                )
            return value
        if isinstance(value, torch.device):
            return torch.device("cpu")
        return value

    def outward(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, StandIn):
            return value
        known = wrappers.get(id(value))
        return StandIn(value) if known is None else known

    args, kwargs = tree_map(inward, (args, kwargs))
    result = operation(*args, **kwargs)
    stays_here = name != "aten::_to_copy" or asked_for is None or asked_for.type == NAME
    return tree_map(outward, result) if stays_here else result


class Generator(torch.Generator):
    """Random numbers of the device, or of the CPU: what ``torch.Generator`` becomes."""

    def __new__(cls, device: str | torch.device = "cpu") -> Any:
        if torch.device(device).type != NAME:
            return PLAIN(device)
        made = super().__new__(cls)
        OURS.add(made._cdata)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    def clone_state(self) -> Generator:
        return Generator(DEVICE).set_state(self.get_state())


PLAIN, OURS = torch.Generator, set[int]()

#: Factories, such as ``torch.empty(3, device=DEVICE)``, meet no tensor of the device.
FACTORIES = torch.library.Library("_", "IMPL")
FACTORIES.fallback(on_cpu, "PrivateUse1")


def install(patch: pytest.MonkeyPatch) -> None:
    """Make ``torch`` and the library know the device as they know a GPU, until ``patch`` ends."""
    patch.setattr(torch, "Generator", Generator)
    # A module that is cast gets new parameters: those of this kind cannot change theirs.
    patch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    for function in (torch.tensor, torch.as_tensor):
        patch.setattr(torch, function.__name__, through_cpu(function))
    for function in (torch.rand, torch.randn, torch.randint, torch.randperm):
        patch.setattr(torch, function.__name__, of_its_device(function))
    for name, module in list(sys.modules.items()):
        if name.startswith("gan_course") and getattr(module, "Generator", None) is PLAIN:
            patch.setattr(module, "Generator", Generator)


def of_its_device(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Random numbers lie where their generator is: no call of torch's own asks the device."""

    @functools.wraps(function)
    def drawn(*rest: Any, generator: Any = None, device: Any = None, **options: Any) -> Tensor:
        where = torch.device("cpu" if device is None else device).type
        if generator is not None and generator.device.type != where:
            raise RuntimeError(
                f"Expected a '{where}' device type for generator but found '{generator.device}'"
            )
        return function(*rest, generator=generator, device=device, **options)

    return drawn


def through_cpu(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Numbers become a tensor of the device by way of the CPU: torch's own way is closed."""

    @functools.wraps(function)
    def made(data: Any, *rest: Any, device: Any = None, **options: Any) -> Tensor:
        if isinstance(data, StandIn):
            new = data.to(*rest, **options) if function is AS_TENSOR else data.clone()
            return new if device is None else new.to(device)
        data = tree_map(lambda x: x.held if isinstance(x, StandIn) else x, data)
        new = function(data, *rest, **options)
        return new if device is None else new.to(device)

    return made


AS_TENSOR = torch.as_tensor
