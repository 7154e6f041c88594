"""What vectors of many plates say: nearest neighbours, agreement of two spaces, clusters, outliers, dimension.

Pure functions on arrays. A space is float [N, dim], a row for each plate; its similarity is the cosine.
"""
