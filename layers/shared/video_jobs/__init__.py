"""What every function of the stack is made of."""

__version__ = "0.4.0"
