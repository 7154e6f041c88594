"""Macros on colours: CIE L*a*b* of a hex colour, and the CIEDE2000 difference of two colours.

Each step of a formula is a list of one struct, made from the struct of the step before: SQL has no other name for an
intermediate value that also works in ORDER BY, in a join condition and inside an aggregate.
"""

from atlas_resources.catalogue._view import Macro

DELTA_E = Macro(
    "delta_e",
    ("lab1", "lab2"),
    """
    CASE
    WHEN lab1 IS NULL OR lab2 IS NULL THEN NULL
    WHEN len(lab1::DOUBLE[]) <> 3 OR len(lab2::DOUBLE[]) <> 3 THEN error(
        'delta_e: expected two colours of 3 numbers, L, a and b, found '
        || len(lab1::DOUBLE[]) || ' and ' || len(lab2::DOUBLE[])
    )
    ELSE [
        sqrt(
            (p.dl / p.sl) ** 2 + (p.dc / p.sc) ** 2 + (p.dh / p.sh) ** 2
            - sin(radians(60 * exp(-(((p.h - 275) / 25) ** 2)))) * 2 * sqrt(p.c ** 7 / (p.c ** 7 + 6103515625.0))
              * (p.dc / p.sc) * (p.dh / p.sh)
        )
        FOR p IN [
            {
                'h': o.h, 'c': o.c, 'dl': o.dl, 'dc': o.dc, 'dh': 2 * sqrt(o.c1 * o.c2) * sin(radians(o.turn / 2)),
                'sl': 1 + 0.015 * (o.l - 50) ** 2 / sqrt(20 + (o.l - 50) ** 2),
                'sc': 1 + 0.045 * o.c,
                'sh': 1 + 0.015 * o.c * (
                    1 - 0.17 * cos(radians(o.h - 30)) + 0.24 * cos(radians(2 * o.h))
                    + 0.32 * cos(radians(3 * o.h + 6)) - 0.20 * cos(radians(4 * o.h - 63))
                )
            }
            FOR o IN [
                {
                    'c1': n.c1, 'c2': n.c2, 'l': (n.l1 + n.l2) / 2, 'c': (n.c1 + n.c2) / 2,
                    'dl': n.l2 - n.l1, 'dc': n.c2 - n.c1,
                    'turn': CASE
                        WHEN n.c1 * n.c2 = 0 THEN 0
                        WHEN n.h2 - n.h1 > 180 THEN n.h2 - n.h1 - 360
                        WHEN n.h2 - n.h1 < -180 THEN n.h2 - n.h1 + 360
                        ELSE n.h2 - n.h1
                    END,
                    'h': CASE
                        WHEN n.c1 * n.c2 = 0 THEN n.h1 + n.h2
                        WHEN abs(n.h1 - n.h2) <= 180 THEN (n.h1 + n.h2) / 2
                        WHEN n.h1 + n.h2 < 360 THEN (n.h1 + n.h2 + 360) / 2
                        ELSE (n.h1 + n.h2 - 360) / 2
                    END
                }
                FOR n IN [
                    {
                        'l1': m.l1, 'c1': sqrt(m.a1 ** 2 + m.b1 ** 2),
                        'h1': (degrees(atan2(m.b1, m.a1)) + 360) % 360,
                        'l2': m.l2, 'c2': sqrt(m.a2 ** 2 + m.b2 ** 2),
                        'h2': (degrees(atan2(m.b2, m.a2)) + 360) % 360
                    }
                    FOR m IN [
                        {
                            'l1': k.l1, 'a1': k.a1 * (1.5 - sqrt(k.c ** 7 / (k.c ** 7 + 6103515625.0)) / 2), 'b1': k.b1,
                            'l2': k.l2, 'a2': k.a2 * (1.5 - sqrt(k.c ** 7 / (k.c ** 7 + 6103515625.0)) / 2), 'b2': k.b2
                        }
                        FOR k IN [
                            {
                                'l1': lab1[1]::DOUBLE, 'a1': lab1[2]::DOUBLE, 'b1': lab1[3]::DOUBLE,
                                'l2': lab2[1]::DOUBLE, 'a2': lab2[2]::DOUBLE, 'b2': lab2[3]::DOUBLE,
                                'c': (sqrt(lab1[2]::DOUBLE ** 2 + lab1[3]::DOUBLE ** 2)
                                      + sqrt(lab2[2]::DOUBLE ** 2 + lab2[3]::DOUBLE ** 2)) / 2
                            }
                        ]
                    ]
                ]
            ]
        ]
    ][1]
    END
    """,
    "CIEDE2000 difference of two colours, each a list of CIE L*, a*, b*, with all weights 1 (Sharma, Wu and Dalal "
    "2005). About 1 is just noticeable. NULL if a colour or a number in it is NULL.",
    is_table=False,
)

HEX_LAB = Macro(
    "hex_lab",
    ("hex",),
    """
    CASE
    WHEN hex IS NULL THEN NULL
    WHEN NOT regexp_full_match(hex::VARCHAR, '#[0-9A-Fa-f]{6}') THEN error(
        'hex_lab: expected a colour as ''#rrggbb'', found ''' || hex || ''''
    )
    ELSE [
        [116 * f[2] - 16, 500 * (f[1] - f[2]), 200 * (f[2] - f[3])]
        FOR f IN [
            [CASE WHEN t > 0.008856 THEN cbrt(t) ELSE 7.787 * t + 16.0 / 116 END FOR t IN xyz]
            FOR xyz IN [
                [
                    (0.412453 * rgb[1] + 0.357580 * rgb[2] + 0.180423 * rgb[3]) / 0.95047,
                    0.212671 * rgb[1] + 0.715160 * rgb[2] + 0.072169 * rgb[3],
                    (0.019334 * rgb[1] + 0.119193 * rgb[2] + 0.950227 * rgb[3]) / 1.08883
                ]
                FOR rgb IN [
                    [
                        CASE WHEN level > 0.04045 THEN ((level + 0.055) / 1.055) ** 2.4 ELSE level / 12.92 END
                        FOR level IN [
                            ('0x' || substr(hex::VARCHAR, 2, 2))::INTEGER / 255.0,
                            ('0x' || substr(hex::VARCHAR, 4, 2))::INTEGER / 255.0,
                            ('0x' || substr(hex::VARCHAR, 6, 2))::INTEGER / 255.0
                        ]
                    ]
                ]
            ]
        ]
    ][1]
    END
    """,
    "CIE L*, a*, b* (D65, 2 degree observer) of an 8-bit sRGB colour '#rrggbb', as a list of three numbers.",
    is_table=False,
)
MACROS = (DELTA_E, HEX_LAB)
