"""`modelloop edge`: a version for devices and browser pages."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from ..face import act
from ..options import PLAIN, Options

app = App(name="edge", help="A version as a signed folder, for devices and browser pages.")


@app.command
def build(
    version: str,
    /,
    *,
    to: Path,
    int8: bool = False,
    measure: str = "",
    web: Path | None = None,
    face: Options = PLAIN,
) -> int:
    """Build a bundle: one ONNX graph from raw columns to answers, a small runtime, and a signed manifest.

    Parameters
    ----------
    version
        MODEL:NUMBER, for instance delay:3.
    to
        A new folder.
    int8
        Write the model's weights in int8, and measure what that costs.
    measure
        NAME, NAME:VERSION or NAME:TAG of a dataset with labels: the headline metric on it, of both forms.
    web
        An unpacked onnxruntime-web: the bundle becomes a page as well.
    """
    return act("edge:build", face, version=version, to=to, int8=int8, measure=measure, web=web)


@app.command
def verify(folder: Path, /, *, key: Path | None = None, face: Options = PLAIN) -> int:
    """Check every byte of a bundle against its signature.

    Parameters
    ----------
    folder
        The bundle.
    key
        The public key, from elsewhere than the bundle. Left out: the one inside, which finds damage and no forgery.
    """
    return act("edge:verify", face, folder=folder, key=key)
