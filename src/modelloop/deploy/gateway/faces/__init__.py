"""Everything a gateway answers over HTTP beside `infer`: what it holds, plain JSON for people, MLflow's forms, metrics.

`answer(answerer, request, done)` answers any request and never raises. `server.py` and `hot.py` call it for every path
but `POST /v2/models/*/infer`; `answer.py` must not, as these files import it.
"""

from .places import answer

__all__ = ["answer"]
