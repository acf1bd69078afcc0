"""A runtime check of annotations, shapes included: what jaxtyping's import hook applies to every function."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
