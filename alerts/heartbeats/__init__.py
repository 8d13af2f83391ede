"""Heartbeats: the address jobs call, its pages, forms, REST and admin part."""
