"""Thresholds that follow the past, shown: a part of pages, REST, the admin site's part."""
