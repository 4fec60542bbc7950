# The rows of speed.rows that were measured: LABEL (quoted) SPEED, as a ratio.
#   awk -f speed.awk speed.rows bench.txt >speed.dat
FNR == NR {
    if ($0 ~ /^#/) next
    key[++rows] = $1 " " $2
    is_time[rows] = $3 == "time"
    label[rows] = $4
    for (i = 5; i <= NF; i++) label[rows] = label[rows] " " $i
    next
}
$1 == "bench" && $7 == "ratio" { ratio[$2 " " $5] = $8 }
END {
    for (i = 1; i <= rows; i++)
        if (ratio[key[i]] > 0)
            printf "\"%s\" %.3g\n", label[i], is_time[i] ? 1 / ratio[key[i]] : ratio[key[i]]
}
