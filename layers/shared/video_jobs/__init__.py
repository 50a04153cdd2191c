"""What every function of the stack is made of."""
