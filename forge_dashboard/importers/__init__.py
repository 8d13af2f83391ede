"""Takes in files that pipelines left behind, as if their events had been sent then."""

from forge_dashboard.importers.documents import NotImportable, events_of
from forge_dashboard.importers.taking import Imported, import_document

__all__ = ["Imported", "NotImportable", "events_of", "import_document"]
