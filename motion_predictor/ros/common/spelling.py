"""Spellings of yes and no on a command line."""

YES = ('true', 'yes', 'on', '1', 't', 'y')
NO = ('false', 'no', 'off', '0', 'f', 'n')


def is_yes(text: str) -> bool:
    """Return whether a launch argument says yes.

    Raises:
        ValueError: if it says neither yes nor no.
    """
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError(f"'{text}' is neither true nor false")
    return word in YES
