"""A minted set in Croissant 1.0 (https://docs.mlcommons.org/croissant): JSON-LD that catalogues of data sets read."""

from typing import Any

from gansmith.cards.contents import Card
from gansmith.minting import Minted

TYPES = {
    "npz": "application/octet-stream",
    "tar": "application/x-tar",
    "parquet": "application/x-parquet",
    "folder": "image/png",
}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(card: Card, minted: Minted) -> dict[str, Any]:
    """The document: what the set is, its files with their SHA-256, and, of Parquet, its columns."""
    plan = minted.plan
    about: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{plan.generator.recipe}-{plan.generator.digest[:12]}",
        "description": f"{card.name}. Synthetic: made by a generator trained on {card.source}. Privacy guarantee: "
        f"{card.guarantee}.",
        "url": f"urn:sha256:{plan.generator.digest}",
        "version": "1.0.0",
        "rai:dataLimitations": "; ".join(card.not_for),
        "rai:dataUseCases": "; ".join(card.intended),
        "rai:dataCollection": card.command,
        "rai:personalSensitiveInformation": f"guarantee: {card.guarantee}",
        "distribution": _files(minted),
    }
    if card.licence != "unknown":
        about["license"] = card.licence
    if plan.layout == "parquet":
        about["recordSet"] = [_columns(minted)]
    return about


def _files(minted: Minted) -> list[dict[str, Any]]:
    kind = TYPES[minted.plan.layout]
    if minted.plan.layout == "folder":
        return [
            {
                "@type": "cr:FileSet",
                "@id": "pictures",
                "name": "pictures",
                "encodingFormat": kind,
                "includes": "train/**/*.png",
            }
        ]
    return [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name,
            "contentUrl": shard.name,
            "contentSize": f"{shard.bytes} B",
            "encodingFormat": kind,
            "sha256": shard.sha256,
        }
        for shard in minted.shards
    ]


def _columns(minted: Minted) -> dict[str, Any]:
    """The record set of the first file; all have the same columns."""
    kinds = {"image": "sc:ImageObject", "label": "sc:Integer", "index": "sc:Integer"}
    if minted.plan.labels == "none":
        del kinds["label"]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"images/{name}",
            "name": name,
            "dataType": kind,
            "source": {"fileObject": {"@id": minted.shards[0].name}, "extract": {"column": name}},
        }
        for name, kind in kinds.items()
    ]
    return {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}
