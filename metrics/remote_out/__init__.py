"""Remote write out: what was stored here is sent on to larger stores."""
