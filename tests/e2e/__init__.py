"""Tests of a stack that is deployed on this machine. They are a package so that a fixture can be of them all."""
