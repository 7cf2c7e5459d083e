"""Names for runs and logged models that were given none."""

from __future__ import annotations

import secrets

_HOW = (
    "able amber bold brave brisk calm clear clever cosy deft eager early fair fine fleet fond frank free fresh gentle "
    "glad golden grand handy happy hardy honest jolly keen kind light lively lucid mellow merry mild neat noble "
    "patient plain proud quick quiet rapid ready robust sharp silent silver sincere smart smooth solid spry steady "
    "still strong subtle sunny sure swift tidy true vivid warm wise witty young"
)
_WHO = (
    "badger beaver bee bison bittern cormorant crane cricket crow curlew deer dolphin dove duck eagle egret elk ermine "
    "falcon ferret finch fox gannet goose grebe grouse gull hare hawk heron hornet ibex ibis jackdaw jay kestrel kite "
    "lapwing lark linnet lynx magpie marten mole moose moth newt otter owl partridge pelican pike plover puffin "
    "quail raven robin rook salmon seal shrew siskin snipe sparrow stoat stork swallow swan swift tern thrush trout "
    "vole warbler weasel wren"
)
HOW, WHO = tuple(_HOW.split()), tuple(_WHO.split())


def some_name() -> str:
    """Return a name that people can say, such as calm-heron-417. It need not be the only one: ids are."""
    return f"{secrets.choice(HOW)}-{secrets.choice(WHO)}-{secrets.randbelow(1000)}"
