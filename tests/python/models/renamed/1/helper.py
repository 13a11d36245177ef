"""A module beside the model, which it imports."""


def negative(value):
    return -value
