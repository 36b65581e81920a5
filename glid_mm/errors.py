"""Errors whose message is all that a user needs."""

#: Of a process that ends with such an error and leaves it to the one that
#: started it to say so.
EXIT_CODE = 65


class UserError(RuntimeError):
    """Something that the user can mend: the message says what and how.

    The tools print it without a traceback.
    """
