"""The agent's settings for commands that need some of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import name_of, read_text

if TYPE_CHECKING:
    from hexa.config import Config


def settings_of(file: Path | None, environment: Mapping[str, str]) -> "Config":
    """By the configuration file and the environment, as the agent reads them; what cannot be used ends the command."""
    from hexa.config import ConfigError, load_config, read_config_file

    text = read_text(file, remedy="name another file with --config") if file else ""
    try:
        document = read_config_file(text, source=name_of(file)) if file else None
        return load_config(file=document, environment=environment, flags={})
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
