"""Connects the platforms' webhooks with a stack, for `make webhooks` and for other code.

A platform's module works on a `deployment.Deployment`: the stack as that platform sees it.
"""
