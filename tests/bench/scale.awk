# Efficiency over workers, one curve a task length.  awk -f scale.awk scale.txt >scale.svg; lines: workers seconds efficiency rate
function x_of(workers) { return 70 + (log(workers) / log(10) - 1) * 140 }
function y_of(efficiency) { return 330 - 290 * efficiency }
{
    if (!($2 in points)) order[++curves] = $2
    points[$2] = points[$2] sprintf("%.1f,%.1f ", x_of($1), y_of($3))
    last[$2] = y_of($3)
}
END {
    split("#c53030 #b7791f #2b6cb0 #276749", colours, " ")
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"390\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    print "<text x=\"70\" y=\"22\" font-size=\"14\">One master: part of the workers' time that goes into tasks</text>"
    for (i = 0; i <= 4; i++) printf "<line x1=\"70\" x2=\"630\" y1=\"%g\" y2=\"%g\" stroke=\"#ddd\"/><text x=\"62\" y=\"%g\" text-anchor=\"end\">%d %%</text>\n", y_of(i / 4), y_of(i / 4), y_of(i / 4) + 4, 25 * i
    for (i = 1; i <= 5; i++) printf "<line x1=\"%g\" x2=\"%g\" y1=\"40\" y2=\"330\" stroke=\"#ddd\"/><text x=\"%g\" y=\"348\" text-anchor=\"middle\">%d</text>\n", x_of(10 ^ i), x_of(10 ^ i), x_of(10 ^ i), 10 ^ i
    print "<text x=\"350\" y=\"372\" text-anchor=\"middle\">workers</text>"
    for (i = 1; i <= curves; i++) {
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", points[order[i]], colours[i]
        printf "<text x=\"638\" y=\"%.1f\" fill=\"%s\">%g ms</text>\n", last[order[i]] + 4, colours[i], 1000 * order[i]
    }
    print "</svg>"
}
