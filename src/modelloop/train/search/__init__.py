"""Search: an objective and a space go in; out comes what was found, what it cost, how sure it is and what mattered."""

from ..domains import Choice as Choice
from ..domains import Domain as Domain
from ..domains import Integer as Integer
from ..domains import Plain as Plain
from ..domains import Real as Real
from ..domains import Space as Space
from ..domains import When as When
from ..domains import choice as choice
from ..domains import integer as integer
from ..domains import real as real
from ..domains import when as when
from ..parallel.crew import Pruned as Pruned
from ..parallel.crew import Trying as Trying
from .asked import Confirm as Confirm
from .asked import Options as Options
from .calling import search as search
from .nesting import Nested as Nested
from .nesting import nested as nested
from .stopping import plateau as plateau
from .stopping import target as target
from .stopping import worth as worth
