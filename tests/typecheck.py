"""What checks types and shapes during the tests (named in pyproject.toml): an int passes for a float, as everywhere."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
