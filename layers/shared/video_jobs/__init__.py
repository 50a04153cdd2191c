"""What every function of the stack is made of."""

__version__ = "1.0.0"
