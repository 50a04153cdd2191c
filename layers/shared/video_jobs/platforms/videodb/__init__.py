"""VideoDB: one module a step (what it takes, what is asked, what is answered, what that means), and what they share."""
