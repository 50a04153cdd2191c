"""What we send to people: what it says, how it is signed, and where it may go."""
