"""The demo partner for hotel rooms: the same booking API as the tables', another house's books.

`python -m integrations.simulators.hotel --port P --home DIR --key K [--leash]`
"""

from collections.abc import Sequence

from integrations.simulators import leash, tables

NAME = "Schlüsselbund Hotels"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = leash.parse("hotel", argv)
    leash.run(
        arguments,
        lambda base_url: tables.build(arguments, base_url, name=NAME, vertical="room"),
    )


if __name__ == "__main__":
    main()
