"""Traces: how a class travels from layer to layer."""
