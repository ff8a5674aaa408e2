"""The things arithmetic problems are about: four settings of four layers, each layer with a hundred kinds of item.

An item of the full names is a modifier and a noun (`Marble Fountain`): five nouns are the layer's sub-categories,
twenty modifiers make each of them twenty items. Items of the short names are single words, written together
(`SchoolCrate`), which keeps a tiny model's texts short.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One layer of a setting. category: what all of its items are; pools: the items of each sub-category, as words."""

    category: tuple[str, ...]
    pools: tuple[tuple[tuple[str, ...], ...], ...]


def _layer(category: str, nouns: str, modifiers: str) -> Layer:
    pools = tuple(tuple((modifier, noun) for modifier in modifiers.split()) for noun in nouns.split())
    return Layer((category,), pools)


def _short(category: str, items: str) -> Layer:
    return Layer((category,), (tuple((item,) for item in items.split()),))


FULL: tuple[tuple[Layer, ...], ...] = (
    (
        _layer(
            "Quarter",
            "Harbour Hillside Riverside Suburb Village",
            "Northern Southern Eastern Western Upper Lower Old New Green Golden Silver Royal Quiet Busy Sunny Windy "
            "Little Great Hidden Twin",
        ),
        _layer(
            "Shop",
            "Bakery Grocer Deli Market Emporium",
            "Corner Family Station Garden Bridge Abbey Castle Mill Orchard Meadow Forge Tower Lantern Anchor Beacon "
            "Compass Harvest Crescent Summit Valley",
        ),
        _layer(
            "Dish",
            "Soup Pie Salad Stew Pudding",
            "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Spring Summer Autumn Winter Festival Wedding "
            "Picnic Breakfast Supper Midnight Holiday Birthday Everyday",
        ),
        _layer(
            "Ingredient",
            "Root Grain Berry Herb Nut",
            "Crimson Amber Violet Ivory Scarlet Emerald Cobalt Russet Indigo Saffron Coral Jade Umber Teal "
            "Maroon Olive Copper Pearl Onyx Lilac",
        ),
    ),
    (
        _layer(
            "Park",
            "Reserve Sanctuary Menagerie Safari Refuge",
            "Alpine Desert Island Coastal Tropical Polar Prairie Canyon Delta Lagoon Savanna Tundra Highland Lowland "
            "Wetland Woodland Glacier Volcano Mangrove Steppe",
        ),
        _layer(
            "Enclosure",
            "Aviary Paddock Pool Terrarium Grotto",
            "Glass Stone Timber Iron Bamboo Brick Marble Mesh Granite Slate Clay Sandy Mossy Shaded Heated "
            "Domed Fenced Sunken Raised Walled",
        ),
        _layer(
            "Animal",
            "Heron Gecko Otter Lynx Tapir",
            "Spotted Striped Crested Ringed Horned Tufted Masked Banded Speckled Dappled Bearded Hooded Maned Plumed "
            "Collared Pale Dusky Giant Dwarf Swift",
        ),
        _layer(
            "Bone",
            "Rib Femur Skull Vertebra Phalanx",
            "Slender Curved Hollow Dense Flat Fused Arched Long Short Porous Smooth Ridged Forked "
            "Hinged Tapered Grooved Robust Delicate Knobbed Twisted",
        ),
    ),
    (
        _layer(
            "Academy",
            "College Institute Lyceum Seminary Conservatory",
            "Ashford Brookline Carlow Denby Elmhurst Fairfax Glenrock Hartwell Ironbridge Jarrow Kingsley Langdon "
            "Merrow Norwood Oakham Penrith Quayside Ripley Selby Thornton",
        ),
        _layer(
            "Room",
            "Studio Workshop Library Laboratory Auditorium",
            "Dance Film Pottery Painting Robotics Chemistry Geology Music Drama Fencing Weaving Poetry Sculpture "
            "Astronomy Botany Optics Carpentry Debate Chess Radio",
        ),
        _layer(
            "Bag",
            "Satchel Rucksack Tote Briefcase Pouch",
            "Canvas Leather Denim Wool Nylon Velvet Linen Cotton Felt Suede Corduroy Silk Hemp Jute Rubber Quilted "
            "Patched Woven Waxed Padded",
        ),
        _layer(
            "Stationery",
            "Pencil Notebook Ruler Eraser Stapler",
            "Red Blue Yellow Orange Purple Black White Brown Pink Grey Turquoise Magenta Beige Bronze Lime Navy Peach "
            "Plum Tan Mint",
        ),
    ),
    (
        _layer(
            "Habitat",
            "Forest Reef Marsh Tunnel Cliff",
            "Ancient Misty Frozen Stormy Silent Rocky Tidal Flooded Remote Burnt Fertile Barren Salty Foggy Lush Arid "
            "Rugged Shallow Deep Drowned",
        ),
        _layer(
            "Creature",
            "Beetle Newt Crab Moth Snail",
            "Luminous Armoured Winged Burrowing Climbing Drifting Nimble Sleepy Roaming Venomous Nocturnal Gentle "
            "Timid Bold Hungry Clever Solitary Singing Leaping Gliding",
        ),
        _layer(
            "Organ",
            "Gill Gland Lung Heart Antenna",
            "Primary Secondary Tertiary Left Right Front Rear Inner Outer Central Lateral Dorsal Ventral Major Minor "
            "Paired Single Double Triple Folded",
        ),
        _layer(
            "Cell",
            "Neuron Platelet Follicle Fibre Spore",
            "Round Oval Square Starry Branched Coiled Spiral Flattened Budding Dividing Dormant Active Mature Young "
            "Ciliated Granular Clear Cloudy Sticky Floating",
        ),
    ),
)

SHORT: tuple[tuple[Layer, ...], ...] = (
    (
        _short("Buildings", "School Farm Castle Museum Station"),
        _short("Boxes", "Crate Basket Drawer Locker Trunk"),
        _short("Things", "Apple Pencil Candle Coin Button"),
    ),
)

NAMES = {"full": FULL, "short": SHORT}
