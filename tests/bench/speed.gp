# README's picture: how fast rankpool is beside limits and peers.
#   gnuplot -e "in='speed.dat'; out='speed.svg'; kind='svg'; caption='DATE, MACHINE'" speed.gp
rows = int(system("wc -l <" . in))
if (kind eq 'png') { set terminal pngcairo noenhanced size 960,420 font 'sans,11' } \
else { set terminal svg noenhanced size 960,420 dynamic font 'sans,12' background 'white' }
set output out
set title "Speed of rankpool beside a limit or a peer (1: equal)" font ',14'
set label 1 caption at graph 1, screen 0.03 right font ',10' textcolor rgb '#606060'
set logscale x
set xrange [0.1:50000]
set yrange [rows - 0.4:-0.6]
set xtics ('0.1' 0.1, '1' 1, '10' 10, '100' 100, '1,000' 1000, '10,000' 10000)
set format x '%g'
set lmargin at screen 0.48
set rmargin at screen 0.96
set bmargin at screen 0.14
set ytics scale 0
set grid xtics linetype 1 linecolor rgb '#dddddd'
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linewidth 1.5 linecolor rgb '#404040'
set border 1
unset key
left(x) = x < 1 ? x : 1
right(x) = x < 1 ? 1 : x
shown(x) = x < 10 ? sprintf('%.2g', x) : x < 1000 ? sprintf('%.0f', x) : \
    sprintf('%d,%03d', int(x / 1000), int(x) % 1000)
plot in using (1):0:(left($2)):(right($2)):($0 - 0.3):($0 + 0.3):ytic(1) \
         with boxxyerror fillstyle solid 0.9 noborder linecolor rgb '#2b6cb0', \
     in using (right($2) * 1.15):0:(shown($2)) with labels left font ',11' \
         textcolor rgb '#202020'
