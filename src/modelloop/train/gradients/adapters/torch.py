"""Torch modules as problems: any training loss with hyper-parameters in it, differentiated where its weights settle."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ....ground.core.errors import InvalidInput
from ....ground.core.later import needed
from ..problem import per_feature

if TYPE_CHECKING:
    import torch

Hyper: TypeAlias = "Mapping[str, torch.Tensor]"
TrainLoss: TypeAlias = "Callable[[Any, Hyper], torch.Tensor]"
ValidLoss: TypeAlias = "Callable[[Any], torch.Tensor]"
Fit: TypeAlias = "Callable[[Any, Callable[[], torch.Tensor]], None]"
SOLVERS = ("cg", "neumann")


def torch_problem(
    module: torch.nn.Module,
    train_loss: TrainLoss,
    valid_loss: ValidLoss,
    hyper: Mapping[str, int | None],
    *,
    fit: Fit | None = None,
    solver: str = "cg",
    terms: int = 100,
    damping: float = 0.0,
) -> TorchProblem:
    """Return the validation loss of a torch module as a problem of the hyper-parameters in its training loss.

    `train_loss(module, hyper)` and `valid_loss(module)` return a scalar; `hyper` maps each name to a tensor: a number,
    or a vector where a size is given (`{"penalty": 200, "smoothing": None}` makes `penalty[0]` ... and `smoothing`).
    `fit(module, loss)` is your training loop: it lowers `loss()` until it settles; without one, L-BFGS does. The module
    is copied, and each fit begins where the last ended.

    The derivative assumes that the weights have settled: z of H z = slope is found by conjugate gradients with products
    of the Hessian, or by `terms` of the Neumann series (Lorraine, Vicol and Duvenaud 2020), which needs no convexity.
    `damping` is added to H's diagonal. float64 modules give more exact derivatives.
    """
    return TorchProblem(module, train_loss, valid_loss, hyper, fit=fit, solver=solver, terms=terms, damping=damping)


class TorchProblem:
    """A module's validation loss as a function of its hyper-parameters. `torch_problem` makes it."""

    def __init__(
        self,
        module: torch.nn.Module,
        train_loss: TrainLoss,
        valid_loss: ValidLoss,
        hyper: Mapping[str, int | None],
        *,
        fit: Fit | None,
        solver: str,
        terms: int,
        damping: float,
    ) -> None:
        self._torch: Any = needed("torch", "torch")
        if solver not in SOLVERS or terms < 1 or damping < 0:
            raise InvalidInput(
                f"solver={solver!r}, terms={terms}, damping={damping}.",
                hint="cg or neumann; terms from 1; damping from 0.",
            )
        if not hyper:
            raise InvalidInput(
                "There is no hyper-parameter to find.", hint='{"penalty": None}, or a size for a vector.'
            )
        self.module = copy.deepcopy(module)
        self._weights = [weight for weight in self.module.parameters() if weight.requires_grad]
        if not self._weights:
            raise InvalidInput("The module has no weights that learn.", hint="requires_grad is off for all of them.")
        self._train_loss, self._valid_loss = train_loss, valid_loss
        self._groups = {name: _names(name, size) for name, size in hyper.items()}
        self._sizes = dict(hyper)
        self._fit, self._solver, self._terms, self._damping = fit or self._settle, solver, terms, damping
        self._tolerance = 1e-10

    @property
    def names(self) -> tuple[str, ...]:
        """Return the hyper-parameters it needs."""
        return tuple(name for group in self._groups.values() for name in group)

    @property
    def size(self) -> int:
        """Return how many there are."""
        return len(self.names)

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the loss on the validation rows of the module trained with these hyper-parameters."""
        self._trained(self._tensors(params))
        with self._torch.no_grad():
            return float(self._valid_loss(self.module))

    def value_and_gradient(self, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        """Return the loss and its derivative by each hyper-parameter."""
        torch = self._torch
        hyper = self._tensors(params)
        self._trained(hyper)
        valid = self._valid_loss(self.module)
        slope = _grads(torch, valid, self._weights)
        for tensor in hyper.values():
            tensor.requires_grad_()
        with torch.enable_grad():
            train = self._train_loss(self.module, hyper)
            inner = torch.autograd.grad(train, self._weights, create_graph=True, allow_unused=True)
            inner = _flat(torch, inner, self._weights)
            solved = self._solve(lambda way: self._product(inner, way), slope)
            moved = torch.autograd.grad(inner @ solved, list(hyper.values()), allow_unused=True)
        found: dict[str, float] = {}
        for (name, group), by in zip(self._groups.items(), moved, strict=True):
            if by is None:
                raise InvalidInput(f"The training loss does not depend on {name!r}.", hint="Use hyper[name] in it.")
            found |= zip(group, (-by).reshape(-1).tolist(), strict=True)
        return float(valid.detach()), found

    def loosen(self, tolerance: float) -> None:
        """From now on train to `tolerance` only (as HOAG does at first), unless the training loop is your own."""
        self._tolerance = max(tolerance, 1e-12)

    def _tensors(self, params: Mapping[str, Any]) -> dict[str, Any]:
        missing = [name for name in self.names if name not in params]
        if missing:
            raise InvalidInput(f"The problem needs {missing[0]!r}.", hint=f"It has {len(self.names)} hyper-parameters.")
        like, found = self._weights[0], {}
        for name, group in self._groups.items():
            values = [float(params[each]) for each in group]
            if not all(math.isfinite(value) for value in values):
                raise InvalidInput(f"{name} has a value that is not finite.", hint="Hyper-parameters are numbers.")
            shaped = values[0] if self._sizes[name] is None else values
            found[name] = self._torch.tensor(shaped, dtype=like.dtype, device=like.device)
        return found

    def _trained(self, hyper: Mapping[str, Any]) -> None:
        with self._torch.enable_grad():
            self._fit(self.module, lambda: self._train_loss(self.module, hyper))
        if not all(bool(self._torch.isfinite(weight).all()) for weight in self._weights):
            raise InvalidInput("Training gave weights that are not finite.", hint="Lower the step, scale the features.")

    def _settle(self, module: Any, loss: Callable[[], Any]) -> None:  # noqa: ARG002 - the signature of a loop of yours
        torch = self._torch
        least = torch.finfo(self._weights[0].dtype).eps
        exact = max(self._tolerance, 10 * least)
        steps = torch.optim.LBFGS(
            self._weights,
            max_iter=2000,
            tolerance_grad=exact,
            tolerance_change=max(exact**2, least),
            history_size=50,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Any:
            steps.zero_grad()
            value = loss()
            if not bool(torch.isfinite(value)):
                raise InvalidInput("The training loss is not finite.", hint="Look at it for the starting weights.")
            value.backward()
            return value

        steps.step(closure)
        steps.zero_grad()

    def _product(self, inner: Any, way: Any) -> Any:
        """Return the Hessian of the training loss times `way`."""
        torch = self._torch
        parts = torch.autograd.grad(inner @ way, self._weights, retain_graph=True, allow_unused=True)
        return _flat(torch, parts, self._weights).detach() + self._damping * way

    def _solve(self, times: Callable[[Any], Any], right: Any) -> Any:
        return self._series(times, right) if self._solver == "neumann" else self._conjugate(times, right)

    def _conjugate(self, times: Callable[[Any], Any], right: Any) -> Any:
        torch = self._torch
        z, left = torch.zeros_like(right), right.clone()
        way, energy = left.clone(), left @ left
        goal = (max(self._tolerance, torch.finfo(right.dtype).eps) ** 2) * float(energy)
        for _ in range(min(4 * len(right) + 50, 2000)):
            if float(energy) <= goal:
                return z
            ahead = times(way)
            curve = float(way @ ahead)
            if curve <= 0:
                raise InvalidInput(
                    "The training loss is not convex where training ended, so its weights have not settled.",
                    hint="Train longer, add damping, or use solver='neumann'.",
                )
            step = energy / curve
            z, left = z + step * way, left - step * ahead
            before, energy = energy, left @ left
            way = left + energy / before * way
        return z

    def _series(self, times: Callable[[Any], Any], right: Any) -> Any:
        """Return alpha times the sum of (1 - alpha H)^k right; alpha from H's greatest stretch, by power iteration."""
        torch = self._torch
        way = right / (right.norm() + 1e-300)
        stretch = 0.0
        for _ in range(20):
            ahead = times(way)
            stretch = float(ahead.norm())
            if stretch == 0:
                return torch.zeros_like(right)
            way = ahead / stretch
        alpha = 0.9 / stretch
        term, total = right.clone(), right.clone()
        for _ in range(self._terms - 1):
            term = term - alpha * times(term)
            total = total + term
        return alpha * total


def _names(name: str, size: int | None) -> Sequence[str]:
    if size is not None and size < 1:
        raise InvalidInput(f"{name!r} has the size {size}.", hint="None for a number, from 1 for a vector.")
    return (name,) if size is None else tuple(per_feature(name, size, None))


def _grads(torch: Any, loss: Any, weights: Sequence[Any]) -> Any:
    return _flat(torch, torch.autograd.grad(loss, weights, allow_unused=True), weights).detach()


def _flat(torch: Any, parts: Sequence[Any], weights: Sequence[Any]) -> Any:
    """Return one vector; what a loss does not depend on has no slope."""
    filled = [torch.zeros_like(weight) if part is None else part for part, weight in zip(parts, weights, strict=True)]
    return torch.cat([part.reshape(-1) for part in filled])
