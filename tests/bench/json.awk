# The figures as JSON.  awk -f json.awk wanted bench.txt
function number(text) { return text ~ /^-?[0-9.]+([eE][-+]?[0-9]+)?$/ ? text : "null" }
FNR == NR {
    if ($0 !~ /^#/ && NF == 4) { way[$1 " " $2] = $3; bound[$1 " " $2] = $4 }
    next
}
$1 == "bench" && $7 == "ratio" {
    key = $2 " " $5
    printf "%s  {\"name\": \"%s\", \"value\": %s, \"unit\": \"%s\", \"beside\": \"%s\", \"beside_value\": %s, \"ratio\": %s", \
        count++ ? ",\n" : "[\n", $2, number($3), $4, $5, number($6), number($8)
    if (key in way)
        printf ", \"wanted\": \"%s %s\", \"met\": %s", way[key], bound[key], \
            ((way[key] == ">" && $8 + 0 >= bound[key] + 0) || (way[key] == "<" && $8 + 0 <= bound[key] + 0)) ? "true" : "false"
    printf "}"
}
END { print count ? "\n]" : "[]" }
