"""Errors whose message is all that a user needs."""


class UserError(RuntimeError):
    """Something that the user can mend: the message says what and how.

    The tools print it without a traceback.
    """
