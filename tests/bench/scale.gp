# One rank 0 and its workers, simulated: how much of the workers' time goes into tasks.
#   gnuplot -e "in='scale.txt'; out='scale.svg'; kind='svg'; caption='DATE, MACHINE'" scale.gp
# Lines of scale.txt: workers, seconds a task, efficiency, tasks a second.
if (kind eq 'png') { set terminal pngcairo noenhanced size 800,440 font 'sans,11' } \
else { set terminal svg noenhanced size 800,440 dynamic font 'sans,12' background 'white' }
set output out
set title "Reach of one rank 0: share of the workers' time that goes into tasks" font ',14'
set label 1 caption at graph 1, screen 0.03 right font ',10' textcolor rgb '#606060'
set logscale x
set xlabel 'workers'
set yrange [0:1.02]
set ytics nomirror ('0 %%' 0, '25 %%' 0.25, '50 %%' 0.5, '75 %%' 0.75, '100 %%' 1)
set xrange [9.9:100000]
set xtics nomirror ('10' 10, '100' 100, '1,000' 1000, '10,000' 10000, '100,000' 100000)
set bmargin at screen 0.2
set grid linetype 1 linecolor rgb '#dddddd'
set border 3
set key outside right center title 'a task takes'
lengths = system("awk '!seen[$2]++ { print $2 }' " . in)
plot for [length in lengths] \
    sprintf("< awk '$2 == %s' %s", length, in) using 1:3 with linespoints \
    linewidth 2 pointtype 7 pointsize 0.5 title sprintf('%g ms', 1000 * (length + 0))
