// The lessons: what each shows, and what the button does. Their experiments and numbers are Rust's (`src/lab/lessons/`).
//   see      what is drawn at first: 'density', 'points', 'arrows', 'error'; `by` whose score
//   action   'sample', 'learn', 'likelihood', 'leap', or nothing, where the pointer does it
//   compare  a second sampler from the same noise, beside the first
//   then     what follows when it has learned
//   isKept   whether `web/lab/` has the weights of its network, for those who do not want to wait
//   noise    where the slider stands, a share of the way from least noise to most

export const LESSONS = {
  score: { see: ['density', 'arrows'], noise: 0.1 },
  langevin: { see: ['density', 'arrows'], action: 'sample', noise: 0.38 },
  weights: { see: ['density'], action: 'sample', noise: 0.3 },
  low_density: { see: ['points', 'error'], action: 'learn', by: 'learned', noise: 0, isKept: true },
  manifold: { see: ['points', 'learned'], action: 'learn', by: 'learned', noise: 0 },
  annealing: { see: ['density'], action: 'sample', noise: 1 },
  marginals: {
    see: ['density'],
    action: 'sample',
    compare: { name: 'heun', n_steps: 40 },
    noise: 0.3,
  },
  predictor_corrector: {
    see: ['density'],
    action: 'sample',
    compare: { name: 'pc', n_steps: 10, n_corrector: 0 },
    noise: 0.5,
  },
  likelihood: { see: [], action: 'likelihood', noise: 0 },
  one_step: { see: ['points'], action: 'learn', by: 'learned', noise: 0, then: 'leap', isKept: true },
};

/** What is no lesson: everything is up to the visitor. */
export const OWN = { see: ['density', 'points'], action: 'sample', noise: 0, isKept: true };

export const LANGUAGES = { en: 'English', zh: '中文' };

export const WORDS = {
  en: {
    score: {
      title: 'What a score is',
      button: 'Move the pointer over the picture',
      text: 'A density says how likely a point is. Its score is the direction in which the logarithm of the density grows fastest, and how steeply. It points to where the data are, and needs no normalising constant: whatever the density is divided by, the logarithm only shifts.',
      watch: 'Move the pointer. The orange dots are what a noisy point may have been before the noise; the arrow is the score, and it leads to their mean.',
      question: 'This is one Gaussian. How long is its score, two standard deviations from the centre?',
      answer: 'Two divided by the standard deviation, 1.33 here: the score of a Gaussian is the way back to the centre, divided by the variance. And over all data its mean is zero: pulls from all sides cancel.',
    },
    langevin: {
      title: 'Langevin dynamics',
      button: 'Let the points walk',
      text: 'Knowing the score alone, one can draw points of the distribution: take any point, go a little up the score, add a little noise, again and again. That is Langevin dynamics. Without the noise all points would end in the peak.',
      watch: 'The points fill the square at first. Watch the cloud shrink to the shape of the density and stay like that, though each single point moves on for ever.',
      question: 'Why are five steps not enough?',
      answer: 'Each step leads only a little way, and a point from the edge has far to go. After 5 steps the cloud is still more than .3 from the truth (energy distance), after 200 it cannot be told from it.',
    },
    weights: {
      title: 'Why weights go wrong',
      button: 'Let the points walk',
      text: 'Here are two modes: the lower left one has a fifth of the data, the upper right one four fifths. Langevin dynamics knows only the score, and in either mode the score does not know how large the other one is: a constant factor vanishes from the gradient of a logarithm.',
      watch: 'Every point walks into the mode that is nearer to where it began, and never leaves it. See which share the lower left one gets.',
      question: 'The share of the lower left mode should be .2. What comes out, and why?',
      answer: 'About a half, as the square is cut in two halves. Between the modes there are practically no data, so no walk of reasonable length crosses over to put the shares right. This is one of three reasons why Langevin dynamics alone fails on images.',
    },
    low_density: {
      title: 'Where there are no data',
      button: 'Learn the score',
      text: 'A network learns the score from samples alone (sliced score matching), at hardly any noise. It can learn only where samples are. Red shows how wrong it is.',
      watch: 'Press the button: near the two modes the red fades, everywhere else it stays.',
      question: 'Langevin dynamics begins anywhere in the square. What does that mean for its first steps?',
      answer: 'It begins where the learned score is made up: about half of its length is error there, and a twentieth near the data. That is the second reason for failure: points are led astray before they come to where the network knows its way.',
    },
    manifold: {
      title: 'The manifold',
      button: 'Learn the score',
      text: 'Images do not fill the space of all pixels; they lie on something much thinner. Here the data lie on a line. Off the line the density is zero and its logarithm minus infinity: there is no score to be learned.',
      watch: 'Press the button and watch the loss. It does not settle; it falls and falls, because the network (orange arrows) can always make the pull to the line stronger.',
      question: 'What would help?',
      answer: 'Noise. With a little noise the line becomes a band with a density everywhere, and the same loss settles, at −1/(4σ²), about −2.8 for σ = .3. Thin data are the third reason for failure, and noise is the remedy for all three.',
    },
    annealing: {
      title: 'Noise and annealing',
      button: 'Let the points walk',
      text: 'With much noise the two modes of before are one broad hill, whose score is defined everywhere and points the right way. So begin there, walk, lower the noise, walk again: annealed Langevin dynamics. While the hill parts in two, points still cross over and divide themselves rightly.',
      watch: 'The picture zooms in as the noise falls. At first there is one cloud; it parts, and the lower left part is the smaller one.',
      question: 'As many steps as before, the same score, the same two modes. Which share does the lower left one get?',
      answer: 'A fifth, within the error that chance allows. Large noise fills the empty space, gives thin data a density, and lets weights be right: that is why score-based models learn many noise levels at once.',
    },
    marginals: {
      title: 'SDE, ODE and their marginals',
      button: 'Let the points walk',
      text: 'With ever more noise levels, adding noise becomes a stochastic differential equation. It can be run backwards if the score is known, with fresh noise at every step. And there is an equation without any noise, the probability-flow ODE, whose points have the same distribution at every time.',
      watch: 'Left the SDE, right the ODE, from the same noise. Single paths: jagged here, smooth there. Clouds: the same at every moment. Afterwards play the ODE backwards.',
      question: 'If both draw the same, what is the ODE for?',
      answer: 'Its paths can be run both ways, so every point has one code in the noise: one can interpolate, and compute exact likelihoods. And it needs fewer steps: 79 evaluations here instead of 501.',
    },
    predictor_corrector: {
      title: 'Predictor and corrector',
      button: 'Let the points walk',
      text: 'A predictor takes a step of the reverse equation to less noise. With few steps it makes errors. A corrector then takes Langevin steps at the same noise level, which bring the points back to the distribution that belongs to it.',
      watch: 'Left with a corrector, right without, ten noise levels each. See how blurred the eight modes are.',
      question: 'Does it cost nothing?',
      answer: 'No: each corrector step asks for the score once more. The modes come out 1.46 times as wide as they should with the predictor alone and 1.31 times with two corrector steps. Which is better for the same number of evaluations depends on the score; on images, correcting pays.',
    },
    likelihood: {
      title: 'Likelihood',
      button: 'Compute the density',
      text: 'The ODE moves points without making or losing any, so it tells how densely they lie: follow a point into the noise, whose density is known, and add up how much the flow was stretched on the way (its divergence). That is the exact likelihood of a generative model.',
      watch: 'Left the logarithm of the density as the ODE finds it, right by the formula of this world. Then choose a point: it goes into the noise and back.',
      question: 'How do you know that it is a density?',
      answer: 'Its integral is one; the number stands under the picture. And it equals the formula within five hundredths of a nat. For images there is no formula to compare with, and this is how they are compared: in bits per dimension.',
    },
    one_step: {
      title: 'One step',
      button: 'Learn where paths end',
      text: 'Every path of the ODE ends in one point. A consistency model learns that end from anywhere on the path, by saying the same of neighbouring points of a path. Then one evaluation leads from noise to the data.',
      watch: 'Let it learn; then the grid shows where a square of noises is led to in one leap: the middle is torn open, and all is drawn to the ring of eight spots, the closer the longer it learns. Where the paths of the true ODE end, with dozens of evaluations, is to be seen under “Likelihood and one step”, with the world’s own score.',
      question: 'Two steps of the score itself lead to less than half of the way. Why does one leap get there?',
      answer: 'The score only says the direction of the next small step. The consistency function has all steps in it: they were paid for in learning. One leap is .04 from the truth (energy distance), two steps of the score are 1.7.',
    },
    own: {
      title: 'Your own experiment',
      button: 'Let the points walk',
      text: 'Choose a world below, or draw one. Look at its score and at what noise makes of it; let a network learn it; draw points by any sampler, by the true score or by the learned one, two of them side by side.',
    },
    labels: { question: 'Question', kept: 'Show it learned', check: 'Check the numbers', watch: 'Watch' },
  },
  zh: {
    score: {
      title: '什么是分数',
      button: '在图上移动指针',
      text: '密度告诉我们一个点有多可能出现。分数（score）是密度的对数增长最快的方向，以及增长得多快。它指向数据所在之处，并且不需要归一化常数：不论密度除以什么数，对数只是平移。',
      watch: '移动指针。橙色的点是这个含噪点在加噪之前可能的位置；箭头就是分数，它指向这些点的均值。',
      question: '这里是一个高斯分布。离中心两个标准差处，分数有多长？',
      answer: '2 除以标准差，这里是 1.33：高斯分布的分数就是回到中心的位移除以方差。在全部数据上分数的均值为零：各个方向的拉力相互抵消。',
    },
    langevin: {
      title: '朗之万动力学',
      button: '让点走起来',
      text: '只要知道分数，就能从分布中采样：任取一点，沿分数走一小步，加一点噪声，如此反复。这就是朗之万动力学。没有噪声的话，所有点都会停在峰顶。',
      watch: '开始时点充满整个方块。看点云收缩成密度的形状并保持不变，而每个点都在不停地运动。',
      question: '为什么五步不够？',
      answer: '每一步只走一点点，而边缘的点要走很远。5 步之后点云与真实分布的能量距离仍大于 0.3，200 步之后就无法区分了。',
    },
    weights: {
      title: '为什么权重会错',
      button: '让点走起来',
      text: '这里有两个模式：左下占五分之一的数据，右上占五分之四。朗之万动力学只知道分数，而在任一模式内，分数都不知道另一个模式有多大：取对数再求梯度，常数因子就消失了。',
      watch: '每个点都走进离出发处较近的模式，再也不出来。看左下的模式分到多少。',
      question: '左下模式的份额应为 0.2。实际是多少，为什么？',
      answer: '大约一半，因为方块被平分为两半。两个模式之间几乎没有数据，合理长度的行走都不会越过去纠正份额。这是朗之万动力学在图像上失败的三个原因之一。',
    },
    low_density: {
      title: '没有数据的地方',
      button: '学习分数',
      text: '网络只从样本中学习分数（切片分数匹配），几乎没有噪声。它只能在有样本的地方学会。红色表示它错得多厉害。',
      watch: '按下按钮：两个模式附近的红色消退，其他地方依旧。',
      question: '朗之万动力学从方块中任意一点出发。这对它最初的几步意味着什么？',
      answer: '它从学到的分数毫无根据的地方出发：那里误差约为分数长度的一半，而数据附近只有约二十分之一。这是第二个失败的原因：点还没走到网络熟悉的地方就被带偏了。',
    },
    manifold: {
      title: '流形',
      button: '学习分数',
      text: '图像并不充满整个像素空间，而是位于薄得多的东西上。这里的数据在一条线上。线外密度为零，对数为负无穷：没有分数可学。',
      watch: '按下按钮，看损失。它不会稳定，而是一直下降，因为网络（橙色箭头）总可以把拉向这条线的力变得更强。',
      question: '怎么办？',
      answer: '加噪声。加一点噪声，线就变成处处有密度的带子，同样的损失会稳定在 −1/(4σ²)，σ = 0.3 时约为 −2.8。数据太薄是第三个失败的原因，而噪声是这三个问题的解药。',
    },
    annealing: {
      title: '噪声与退火',
      button: '让点走起来',
      text: '噪声很大时，前面的两个模式合成一座宽阔的山，分数处处有定义，方向也对。于是从那里开始走，降低噪声，再走：这就是退火朗之万动力学。山分成两座的过程中，点仍能来往，按正确的比例分开。',
      watch: '噪声下降时画面放大。起初是一团点云；它分开，左下的一份较小。',
      question: '步数和前面一样多，同样的分数，同样的两个模式。左下模式分到多少？',
      answer: '五分之一，误差在随机性允许的范围内。大噪声填满空白，使薄的数据有了密度，也让权重正确：所以基于分数的模型要同时学习许多噪声水平。',
    },
    marginals: {
      title: 'SDE、ODE 与边缘分布',
      button: '让点走起来',
      text: '噪声水平越来越多时，加噪就成了随机微分方程。知道分数就能倒着走，每一步加入新的噪声。还有一个完全没有噪声的方程，即概率流 ODE，它的点在每个时刻都有相同的分布。',
      watch: '左边是 SDE，右边是 ODE，从同样的噪声出发。单条路径：这边曲折，那边光滑。点云：每一刻都相同。之后把 ODE 倒放一遍。',
      question: '既然两者采样结果相同，ODE 有什么用？',
      answer: '它的路径可以双向走，每个点在噪声中有唯一的编码：可以插值，可以精确计算似然。它需要的步数也少：这里是 79 次求值，而不是 501 次。',
    },
    predictor_corrector: {
      title: '预测器与校正器',
      button: '让点走起来',
      text: '预测器按逆向方程走一步，到更小的噪声。步数少时会有误差。校正器随后在同一噪声水平上走几步朗之万，把点带回该水平应有的分布。',
      watch: '左边有校正器，右边没有，各十个噪声水平。看八个模式有多模糊。',
      question: '这没有代价吗？',
      answer: '有：每个校正步都要多求一次分数。只用预测器时，模式的宽度是应有的 1.46 倍，加两个校正步是 1.31 倍。求值次数相同时哪个更好取决于分数；在图像上，校正是值得的。',
    },
    likelihood: {
      title: '似然',
      button: '计算密度',
      text: 'ODE 移动点时既不产生也不丢失点，因此能知道它们有多密：跟随一个点进入密度已知的噪声，累加一路上流被拉伸的程度（散度）。这就是生成模型的精确似然。',
      watch: '左边是 ODE 求得的对数密度，右边是这个世界的公式。然后选一个点：它走进噪声再回来。',
      question: '怎么知道它真是一个密度？',
      answer: '它的积分为一；数字在图下方。它与公式相差不到百分之五奈特。图像没有公式可比，人们正是用它来比较模型：每维多少比特。',
    },
    one_step: {
      title: '一步',
      button: '学习路径的终点',
      text: 'ODE 的每条路径都终于一点。一致性模型从路径上任何一点学习这个终点，办法是对路径上相邻的点说同样的话。这样一次求值就从噪声走到数据。',
      watch: '让它学习；然后网格显示一方噪声一跃之间被带到哪里：中间被撕开，一切都被拉向八个点组成的环，学得越久越近。真实 ODE 的路径（几十次求值）终于何处，可在“Likelihood and one step”中用世界自己的分数查看。',
      question: '分数自己走两步还不到一半。为什么一跃就到？',
      answer: '分数只说下一小步的方向。一致性函数包含了所有的步：代价在学习时已经付了。一跃离真实分布约 0.04（能量距离），分数的两步是 1.7。',
    },
    own: {
      title: '自己的实验',
      button: '让点走起来',
      text: '在下面选择一个世界，或者自己画一个。看它的分数，看噪声把它变成什么；让网络来学习；用任何采样器、按真实的或学到的分数采样，也可以两个并排比较。',
    },
    labels: { question: '问题', kept: '直接看学好的', check: '核对数字', watch: '看什么' },
  },
};

/** The language that the visitor's browser asks for, of those that are here. */
export function usualLanguage() {
  const wanted = navigator.languages.map((language) => language.slice(0, 2));
  return wanted.find((language) => language in LANGUAGES) ?? 'en';
}
