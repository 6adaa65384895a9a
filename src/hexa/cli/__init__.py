"""The hexa command: one file a subcommand; reads arguments and prints answers, decides nothing."""


def main() -> None:
    """Run the command line; the console script enters here."""
    from hexa.cli.app import run  # typer is not needed to import hexa.cli

    run()
