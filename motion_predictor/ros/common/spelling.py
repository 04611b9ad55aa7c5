"""Reads the spellings of yes and no in launch arguments."""

YES = ('true', 'yes', 'on', '1', 't', 'y')
NO = ('false', 'no', 'off', '0', 'f', 'n')


def is_yes(text: str) -> bool:
    """Return whether the text of a launch argument means yes.

    Raises:
        ValueError: if the text means neither yes nor no.
    """
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError(f"'{text}' is neither true nor false")
    return word in YES
