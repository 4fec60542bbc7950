# The figures as a picture: rankpool beside each limit or peer, bars of one pair to one scale; what is wanted is a mark on rankpool's bar.
#   awk -f picture.awk wanted bench.txt >bench.svg
function text(x, y, words, style) { out = out sprintf("<text x=\"%g\" y=\"%g\" %s>%s</text>\n", x, y, style, words) }
function bar(x, y, width, height, colour) {
    out = out sprintf("<rect x=\"%g\" y=\"%g\" width=\"%.1f\" height=\"%g\" fill=\"%s\"/>\n", x, y, width < 1 ? 1 : width, height, colour)
}
FNR == NR {
    if ($0 !~ /^#/ && NF == 4) { way[$1 " " $2] = $3; bound[$1 " " $2] = $4 }
    next
}
$1 == "bench" && $7 == "ratio" {
    ours = $3 + 0; theirs = $6 + 0; key = $2 " " $5
    column = count % 2; left = column * 620; y = 46 + int(count / 2) * 34; count++
    most = ours > theirs ? ours : theirs
    mark = key in bound ? bound[key] * theirs : 0
    if (mark > most && mark < 4 * most) most = mark
    scale = most > 0 ? 260 / most : 0
    met = !(key in way) ? "" : ((way[key] == ">" && $8 + 0 >= bound[key]) || (way[key] == "<" && $8 + 0 <= bound[key])) ? "met" : "missed"
    text(left + 168, y + 9, $2, "text-anchor=\"end\" font-weight=\"bold\"")
    text(left + 168, y + 21, $5, "text-anchor=\"end\" fill=\"#666\"")
    bar(left + 174, y, ours * scale, 11, met == "missed" ? "#d9822b" : "#2b6cb0")
    bar(left + 174, y + 12, theirs * scale, 11, "#b8b8b8")
    if (mark > 0 && mark * scale <= 262)
        out = out sprintf("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\" stroke=\"#111\" stroke-width=\"2\"/>\n", left + 174 + mark * scale, left + 174 + mark * scale, y - 2, y + 13)
    text(left + 174 + ours * scale + 4, y + 9, $3 " " $4, "")
    text(left + 174 + theirs * scale + 4, y + 21, $6, "fill=\"#666\"")
    text(left + 600, y + 15, "x " $8 (key in way ? " (" (way[key] == ">" ? "at least " : "at most ") bound[key] ")" : ""), "text-anchor=\"end\"" (met == "missed" ? " fill=\"#b45309\"" : ""))
}
END {
    height = 46 + int((count + 1) / 2) * 34 + 10
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1250\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", height
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    print "<text x=\"10\" y=\"18\" font-size=\"14\">rankpool (upper bar; orange: short of what is wanted, the black mark) beside its limit or a peer (grey); each pair to its own scale</text>"
    printf "%s</svg>\n", out
}
