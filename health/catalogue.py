"""The platform's services and the original's components: registries that somebody may load, never loaded silently."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """One entry; a name that ends in a star is a critical dependency."""

    name: str
    kind: str
    depends_on: tuple[str, ...] = ()
    description: str = ""


PLATFORM = (
    Known("agent_forge", "ml-pipeline", ("postgresql*", "redis-master"), "Model pipeline; also seen as agent-forge."),
    Known("hyperrag", "memory-system", ("neo4j*", "postgresql*"), "Retrieval memory; also seen as rag."),
    Known("p2p-mesh", "networking", ("postgresql",), "Messages between nodes; also seen as p2p."),
    Known("api-gateway", "api-gateway", ("agent_forge*", "hyperrag*", "p2p-mesh"), "REST front; also seen as gateway."),
    Known("edge-computing", "edge-device", ("api-gateway*", "p2p-mesh"), "Phones and IoT; also seen as edge."),
    Known("mcp_server", "mcp", (), "Exposes tools to models."),
    Known("fog", "fog"),
    Known("twin", "chat"),
    Known("explainer", "explainer"),
    Known("codomyrmex", "code-analysis", (), "Sister project for code analysis."),
    Known("prometheus", "monitoring"),
    Known("jaeger", "monitoring"),
    Known("grafana", "monitoring", ("prometheus*", "jaeger")),
    Known("postgresql", "database"),
    Known("redis-master", "cache"),
    Known("neo4j", "graph-database"),
    Known("memcached", "cache"),
)
COMPONENTS = tuple(
    Known(name, "component")
    for name in (
        "communications_protocol", "message_system", "whatsapp_connector", "amazon_connector", "ppr_retriever",
        "divergent_retriever", "hybrid_retriever", "compression_system", "agent_forge", "p2p_network", "rag_system",
        "hippo_index", "hypergraph_kg", "device_profiler", "mesh_network",
    )
)  # fmt: skip
REGISTRIES: Mapping[str, tuple[Known, ...]] = {"platform": PLATFORM, "components": COMPONENTS}
EDGE_OF_KIND = {"database": "database", "graph-database": "database", "cache": "cache", "networking": "p2p_network"}


def edges_of(entry: Known, registry: tuple[Known, ...]) -> list[dict[str, object]]:
    """Return the dependencies of an entry as they are stored."""
    kinds = {known.name: known.kind for known in registry}
    names = [(name.rstrip("*"), name.endswith("*")) for name in entry.depends_on]
    return [{"name": name, "type": EDGE_OF_KIND.get(kinds.get(name, ""), "http_api"), "critical": critical}
            for name, critical in names]  # fmt: skip
