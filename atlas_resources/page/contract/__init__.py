"""What the page's files hold: the contract between what writes them and what draws them.

`web/src/contract.ts` is generated from the models of `library` and `plate`. A file's content is a call,
`receiveAtlas(name, value)`, since a page opened from disk may load scripts and pictures, but fetch nothing:

    data/library.js             "library", a Library
    data/sprites/<number>.js    "sprites/<number>", a data URL of one sheet of thumbnails
    data/plates/<plate_id>.js   "plates/<plate_id>", a PlateDetail; loaded when the plate is opened
    pictures/<name>             the plates' pictures, named by their digest

Plates are known by their index: their position in the columns of `Library.plates`. Every text may come from a model or
an index and is shown as text, never as markup. Ratios and shares are 0..1, colours `#rrggbb` in sRGB, times UTC in ISO
8601, cosines -1..1.
"""
