"""Devices made of devices."""
