"""AWS as the rest uses it: clients, secrets, queues, and what its errors mean."""
